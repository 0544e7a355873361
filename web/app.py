"""Builds the Flask application. Importing this module builds nothing."""

import flask
from flask import json
from werkzeug.middleware import proxy_fix

from models import settings
from web import compressed_answers, converters, errors, limits, request_log, row_door
from web.resources import (
    alerts,
    api_keys,
    customers,
    datasets,
    deliveries,
    documents,
    downloads,
    events,
    health,
    imports,
    jobs,
    metrics,
    report_types,
    reports,
    schedules,
    webhooks,
)

# Bodies other than uploads are a few parameters.
LARGEST_JSON_BODY = 1024 * 1024

BLUEPRINTS = (
    documents.blueprint,
    health.blueprint,
    metrics.blueprint,
    reports.blueprint,
    imports.blueprint,
    jobs.blueprint,
    events.blueprint,
    report_types.blueprint,
    datasets.blueprint,
    customers.blueprint,
    api_keys.blueprint,
    schedules.blueprint,
    alerts.blueprint,
    webhooks.blueprint,
    deliveries.blueprint,
    downloads.blueprint,
)


def create_app() -> flask.Flask:
    app = flask.Flask(__name__)
    # People read these documents: `type` and `title` come first, as they were written.
    app.json = json.provider.DefaultJSONProvider(app)
    app.json.sort_keys = False
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_JSON_BODY
    # An address has one spelling: a redirect to the right one would lose the body of a POST.
    app.url_map.merge_slashes = False
    app.url_map.converters["id"] = converters.Id
    app.url_map.converters["customer"] = converters.CustomerId
    request_log.register(app)
    errors.register(app)
    compressed_answers.register(app)
    limits.register(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    if settings.load().trusted_proxies:
        proxies = settings.load().trusted_proxies
        app.wsgi_app = proxy_fix.ProxyFix(app.wsgi_app, x_for=proxies, x_proto=0, x_host=0)  # type: ignore[method-assign]
    app.wsgi_app = row_door.RowDoor(app.wsgi_app)  # type: ignore[method-assign]
    return app
