select log_id from kafka_log for share
