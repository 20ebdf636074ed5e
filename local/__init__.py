"""The real stack on this machine, without docker: servers, Airflow, a film catalogue."""
