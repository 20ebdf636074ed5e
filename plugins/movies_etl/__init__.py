"""Movies ETL: keeps an Elasticsearch ``movies`` index equal to a PostgreSQL film catalogue.

Data flows one way: ``airflow_tasks`` -> ``sync`` -> ``batches`` / ``source`` -> ``documents`` ->
``loader`` -> ``bulk`` -> ``settlement`` -> ``cursors``; ``stream_run`` leads it. Only the modules
named ``airflow_*`` import Airflow.
"""
