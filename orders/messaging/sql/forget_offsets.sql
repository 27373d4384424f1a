delete from kafka_offsets
