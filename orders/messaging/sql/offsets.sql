select topic, partition, next_offset from kafka_offsets
