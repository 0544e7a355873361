"""One blueprint per resource. A view reads the request, asks one other module, and answers."""
