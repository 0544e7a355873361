"""Serves the bare view with the very numbers that serve our API, and without the work our API does for each client."""

from web import gunicorn as ours

wsgi_app = "tests.benchmarks.peers.bare_flask:create_app()"
workers = ours.workers
worker_class = ours.worker_class
threads = ours.threads
worker_connections = ours.worker_connections
keepalive = ours.keepalive
timeout = ours.timeout
preload_app = ours.preload_app
worker_tmp_dir = ours.worker_tmp_dir
control_socket_disable = ours.control_socket_disable
accesslog = None
loglevel = "warning"
