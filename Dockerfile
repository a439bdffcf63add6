# Airflow with this provider installed. The compose file runs Airflow and the sandbox from this one image.
ARG AIRFLOW_IMAGE=apache/airflow:3.3.2-python3.12
FROM ${AIRFLOW_IMAGE}

# The constraints of the Airflow release, so that nothing the image holds is replaced by the way. The official image
# carries them at this path; the https:// address of a constraints file works too.
ARG AIRFLOW_CONSTRAINTS=file:///home/airflow/constraints.txt

# common-compat is the layer that lets one provider run on many Airflow versions. It is meant to be newer than Airflow
# itself, so it alone is let off the constraints.
# The sources are mounted, not copied: they leave no layer behind, and writes to the mount are thrown away.
RUN --mount=type=bind,target=/src,rw \
    curl -fsSL "${AIRFLOW_CONSTRAINTS}" | grep -v '^apache-airflow-providers-common-compat==' > /tmp/constraints.txt \
    && pip install --no-cache-dir --constraint /tmp/constraints.txt \
        "apache-airflow==${AIRFLOW_VERSION}" "/src[parquet]" \
    && rm /tmp/constraints.txt
