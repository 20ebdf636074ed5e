"""Airflow: connections, Variables, tasks and DAGs. The only room that imports Airflow."""
