#!/bin/bash
# Once a day: removes runs from Airflow's database, and logs, that are older than
# AIRFLOW_KEEP_DAYS days. A failure is told in the log and tried again after ten minutes.
set -euo pipefail

days=${AIRFLOW_KEEP_DAYS:-7}
done_file=/tmp/cleaned
# What runs leave. Not `dag`: a DAG that was not read for that long would be forgotten,
# and with it whether it is paused.
tables=asset_event,callback,dag_run,import_error,job,log,task_instance,task_instance_history,xcom
trap 'exit 0' TERM INT

clean() {
    airflow db clean --yes --skip-archive --error-on-cleanup-failure --tables "$tables" \
        --clean-before-timestamp "$(date --utc --date="-$days days" +%Y-%m-%dT%H:%M:%S+00:00)" \
        && find "$AIRFLOW_HOME/logs" -mindepth 1 -type f -mtime "+$days" -delete \
        && find "$AIRFLOW_HOME/logs" -mindepth 1 -type d -empty -mmin +60 -delete \
        && touch "$done_file"
}

while true; do
    if clean; then pause=86400; else pause=600; fi
    sleep "$pause" &
    wait $!
done
