# Two images:
#   airflow    Airflow with this project's locked packages, DAGs and plugins
#   catalogue  loads the sample films into PostgreSQL and ends
#
# A digest makes builds repeatable: PYTHON_IMAGE=python@sha256:...
ARG PYTHON_IMAGE=python:3.12.12-slim-trixie


# The locked packages in a virtual environment; what installs them stays behind.
FROM ${PYTHON_IMAGE} AS packages

# requirements-distributed.txt has the Celery and the Kubernetes executor on top.
ARG LOCK=requirements.txt
COPY local/uv.txt ${LOCK} /tmp/lock/
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
        --require-hashes -r /tmp/lock/uv.txt \
    && python -m venv --without-pip /opt/venv \
    && uv pip sync --python /opt/venv/bin/python --no-cache --no-build --require-hashes \
        --compile-bytecode "/tmp/lock/${LOCK}" \
    && rm --force /opt/venv/.lock


FROM ${PYTHON_IMAGE} AS airflow

ARG REVISION=unknown
LABEL org.opencontainers.image.title="Movies ETL" \
    org.opencontainers.image.description="Airflow DAGs that keep an Elasticsearch index equal to a PostgreSQL film catalogue" \
    org.opencontainers.image.version="0.2.0" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.licenses="MIT"

# Number and group are those of the official image, which Airflow's Helm chart expects.
# The empty airflow.cfg keeps Airflow from writing one of its own.
RUN python -m pip uninstall --quiet --yes --root-user-action=ignore pip \
    && useradd --uid 50000 --gid 0 --home-dir /opt/airflow --no-create-home airflow \
    && install --directory --owner=50000 --group=0 --mode=775 /opt/airflow/logs \
    && touch /opt/airflow/airflow.cfg

COPY --from=packages /opt/venv/ /opt/venv/
COPY --chmod=755 containers/entrypoint /entrypoint
COPY containers/*.py containers/*.sh /opt/airflow/containers/
COPY dags/ /opt/airflow/dags/
COPY plugins/ /opt/airflow/plugins/
COPY include/ /opt/airflow/include/

ENV PATH=/opt/venv/bin:$PATH \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__LOAD_EXAMPLES=false \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
RUN python -m compileall -q --invalidation-mode unchecked-hash /opt/airflow/dags /opt/airflow/plugins

WORKDIR /opt/airflow
# A number, so that Kubernetes can see that it is not root.
USER 50000:0
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=20s --start-period=180s --retries=4 \
    CMD ["python", "/opt/airflow/containers/healthy.py"]
ENTRYPOINT ["/entrypoint"]
CMD ["airflow", "version"]


FROM ${PYTHON_IMAGE} AS catalogue-packages

# Four entries of the lock with their hashes. Without dependencies, because only the
# SQLite file of bokeh-sampledata is read and the package asks for pandas; the import
# at the end fails the build when psycopg misses one of its own.
COPY requirements-dev.txt /tmp/lock/
RUN awk '/^[^ #]/ {wanted = /^(bokeh-sampledata|psycopg|psycopg-binary|typing-extensions)==/} wanted' \
        /tmp/lock/requirements-dev.txt > /tmp/lock/catalogue.txt \
    && pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
        --no-deps --require-hashes --only-binary=:all: --target=/opt/packages \
        -r /tmp/lock/catalogue.txt \
    && PYTHONPATH=/opt/packages python -c 'import bokeh_sampledata, psycopg'


FROM ${PYTHON_IMAGE} AS catalogue

COPY --from=catalogue-packages /opt/packages/ /opt/packages/
WORKDIR /opt/movies-etl
COPY local/ local/
COPY include/sql/ include/sql/

ENV PYTHONPATH=/opt/packages PYTHONDONTWRITEBYTECODE=1
USER 65534:65534
ENTRYPOINT ["python", "-m", "local.catalogue"]
