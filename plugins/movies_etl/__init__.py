"""Movies ETL: keeps an Elasticsearch ``movies`` index equal to a PostgreSQL film catalogue.

Data flows one way: ``airflow_tasks`` -> ``sync`` -> ``source`` -> ``documents`` -> ``bulk`` /
``index`` -> ``cursors``. Only the modules named ``airflow_*`` import Airflow.
"""
