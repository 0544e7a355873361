"""A seeded generator of realistic CRM data, for demos and tests."""
