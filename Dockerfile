# Two stages: what builds stays behind, the virtual environment moves on.
#
# The tag follows the security fixes of Python and Debian. A release pins what it was tested with:
#   docker build --build-arg PYTHON_IMAGE=docker.io/library/python:3.13-slim-trixie@sha256:... .
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim-trixie


FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PROJECT_ENVIRONMENT=/opt/maint \
    UV_PYTHON=python3 \
    UV_PYTHON_DOWNLOADS=never

# Everything that is installed is a wheel with a known hash: these tools by build.txt, the rest by uv.lock.
COPY deploy/build.txt /build/
RUN python3 -m venv /build/tools \
 && /build/tools/bin/pip install --no-cache-dir --require-hashes --only-binary :all: --requirement /build/build.txt

WORKDIR /build/src
COPY pyproject.toml uv.lock ./
RUN /build/tools/bin/uv sync --locked --no-dev --all-extras --no-install-project --no-build

COPY README.md LICENSE ./
COPY bot bot
COPY commands commands
COPY runbooks runbooks
# hatchling itself, not a build by uv: that would fetch a hatchling without a hash.
# uv's lock could be written by everybody.
RUN /build/tools/bin/hatchling build --target wheel --directory /build/dist \
 && /build/tools/bin/uv pip install --python /opt/maint --offline --no-deps /build/dist/*.whl \
 && rm -f /opt/maint/.lock


FROM ${PYTHON_IMAGE}
# The settings are mounted at /etc/maint, read-only; only /data is written.
# The slim images come without the standard library's byte code, and nobody can write it here later.
RUN groupadd --gid 10001 maint \
 && useradd --uid 10001 --gid maint --home-dir /data --no-create-home --no-log-init --shell /usr/sbin/nologin maint \
 && install --directory --owner maint --group maint --mode 0700 /data \
 && python3 -m compileall -q -x '/(test|tests|idlelib|tkinter|site-packages|dist-packages)/' \
      "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
# Programs that some steps start where Maint runs: `postgresql-client-17`, say, for backups of such a server.
ARG DEBIAN_PACKAGES=""
RUN if [ -n "$DEBIAN_PACKAGES" ]; then \
      apt-get update \
      && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $DEBIAN_PACKAGES \
      && rm -rf /var/lib/apt/lists/*; \
    fi
COPY --from=build /opt/maint /opt/maint
ENV PATH=/opt/maint/bin:$PATH \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MAINT_CONFIG=/etc/maint/maint.yaml

USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python3", "-I", "-m", "bot.alive"]
ENTRYPOINT ["maint"]
CMD ["serve"]
