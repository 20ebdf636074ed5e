"""What operators see: questions to both servers and to Airflow's memory, answered in seconds."""
