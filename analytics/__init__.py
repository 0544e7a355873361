"""The CRM knowledge. Knows no Flask, no Celery, no SQLAlchemy, no clock."""
