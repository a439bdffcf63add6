# Airflow with this provider installed. The compose file runs Airflow and the sandbox from this one image.
ARG AIRFLOW_IMAGE=apache/airflow:3.3.2-python3.12
FROM ${AIRFLOW_IMAGE}

# The constraints of the Airflow release, so that nothing the image holds is replaced. The official image carries
# them under this path; a URL works too.
ARG AIRFLOW_CONSTRAINTS=/home/airflow/constraints.txt

# Mounted, not copied: the sources leave no layer behind. Writes to the mount are thrown away.
RUN --mount=type=bind,target=/src,rw \
    pip install --no-cache-dir --constraint "${AIRFLOW_CONSTRAINTS}" \
        "apache-airflow==${AIRFLOW_VERSION}" "/src[parquet]"
