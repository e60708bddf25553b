# One image for all processes; docker-compose.yml says which one a container is. No secret is in it: settings come from
# the environment. The virtual environment stands where ./scripts/giliran looks for it.
FROM python:3.11.14-slim-bookworm

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app

COPY requirements-prod.txt ./
RUN python -m venv .venv && .venv/bin/pip install --quiet --require-hashes -r requirements-prod.txt
ENV PATH=/app/.venv/bin:$PATH

COPY . .
# var/ is the only folder that is written to: the chat keeps its files there.
RUN useradd --uid 10001 --no-create-home --home-dir /app --shell /usr/sbin/nologin giliran \
    && mkdir var \
    && chown giliran var
USER giliran

EXPOSE 8000 8001 8003
CMD ["gunicorn", "--config", "receiver/gunicorn.conf.py", "receiver.app:create_app()"]
