"""Stream CSV and Parquet through Python in bounded memory."""
