# Two images:
#   airflow    Airflow with this project's locked packages, DAGs and plugins
#   catalogue  loads the sample films into PostgreSQL and ends
# Its version of Airflow must be the one of requirements.txt.
ARG AIRFLOW_IMAGE=apache/airflow:3.3.2-python3.12
ARG PYTHON_IMAGE=python:3.12-slim


FROM ${AIRFLOW_IMAGE} AS airflow

# The official image keeps Airflow in the virtual environment ~/.local of the user
# airflow, and its pip refuses root: so everything is installed as that user, without
# --user. It also holds some 60 providers, pinned by Airflow's constraints. `sync`
# removes what the lock does not name, so that the image runs the very packages that
# the tests ran; the constraints take no part in it.
USER airflow
COPY --chown=airflow:0 requirements.txt local/uv.txt /tmp/lock/
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /tmp/lock/uv.txt \
    && uv pip sync --no-cache --require-hashes --compile-bytecode \
        /tmp/lock/requirements.txt /tmp/lock/uv.txt

COPY --chown=airflow:0 dags/ /opt/airflow/dags/
COPY --chown=airflow:0 plugins/ /opt/airflow/plugins/
COPY --chown=airflow:0 include/ /opt/airflow/include/


FROM ${PYTHON_IMAGE} AS catalogue

WORKDIR /opt/movies-etl

# Four entries of the lock with their hashes. Without dependencies, because only the
# SQLite file of bokeh-sampledata is read and the package asks for pandas; the import
# at the end fails the build when psycopg misses one of its own.
COPY requirements-dev.txt /tmp/lock/
RUN awk '/^[^ #]/ {wanted = /^(bokeh-sampledata|psycopg|psycopg-binary|typing-extensions)==/} wanted' \
        /tmp/lock/requirements-dev.txt > /tmp/lock/catalogue.txt \
    && pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
        --no-deps --require-hashes -r /tmp/lock/catalogue.txt \
    && python -c 'import bokeh_sampledata, psycopg'

COPY --chown=nobody:nogroup local/ local/
COPY --chown=nobody:nogroup include/sql/ include/sql/

USER nobody
ENTRYPOINT ["python", "-m", "local.catalogue"]
