"""The real stack on this machine, without Docker: servers, Airflow, a film catalogue."""
