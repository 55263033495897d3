// Kafka's own clients for Java, with Apicurio's serializer and deserializer of Avro, whose values look as Confluent's do. Started with
// the brokers and the registry. A line for each question, its parts in base64:
//   send TOPIC KEY SCHEMA VALUE   sends a value in Avro's JSON encoding; the schema is registered where it is not there
//   flush                         waits until all are there
//   receive TOPIC COUNT           the topic's first records, as JSON: [["KEY", VALUE], ...]
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;

import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.io.JsonEncoder;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;

public class Clients {
    static Map<String, Object> settings = new HashMap<>();
    static KafkaProducer<String, Object> producer;
    static List<Future<RecordMetadata>> sent = new ArrayList<>();

    public static void main(String[] arguments) throws Exception {
        settings.put("bootstrap.servers", arguments[0]);
        settings.put("apicurio.registry.url", arguments[1]);
        // The id of the schema is in front of the value, and not in a header.
        settings.put("apicurio.registry.headers.enabled", false);
        settings.put("apicurio.registry.as-confluent", true);
        settings.put("apicurio.registry.use-id", "contentId");
        settings.put("apicurio.registry.auto-register", true);
        settings.put("apicurio.registry.auto-register.if-exists", "RETURN_OR_UPDATE");
        settings.put("key.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        settings.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        settings.put("value.serializer", "io.apicurio.registry.serde.avro.AvroKafkaSerializer");
        settings.put("value.deserializer", "io.apicurio.registry.serde.avro.AvroKafkaDeserializer");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] parts = line.split(" ");
            for (int part = 1; part < parts.length; part++) {
                parts[part] = new String(Base64.getDecoder().decode(parts[part]), "UTF-8");
            }
            String answer;
            try {
                answer = parts[0].equals("send") ? send(parts)
                    : parts[0].equals("flush") ? flush() : receive(parts[1], Integer.parseInt(parts[2]));
            } catch (Exception error) {
                answer = "error: " + error + " " + error.getCause();
            }
            System.out.println(answer.replace('\n', ' '));
            System.out.flush();
        }
    }

    static String send(String[] parts) throws Exception {
        if (producer == null) {
            producer = new KafkaProducer<>(settings);
        }
        Schema schema = new Schema.Parser().parse(parts[3]);
        Object value = new GenericDatumReader<Object>(schema)
            .read(null, DecoderFactory.get().jsonDecoder(schema, parts[4]));
        sent.add(producer.send(new ProducerRecord<>(parts[1], parts[2], value)));
        return "sent";
    }

    static String flush() throws Exception {
        producer.flush();
        for (Future<RecordMetadata> one : sent) {
            one.get();
        }
        sent.clear();
        return "there";
    }

    static String receive(String topic, int count) throws Exception {
        List<String> received = new ArrayList<>();
        try (KafkaConsumer<String, GenericRecord> consumer = new KafkaConsumer<>(settings)) {
            List<TopicPartition> partitions = new ArrayList<>();
            consumer.partitionsFor(topic).forEach(of -> partitions.add(new TopicPartition(topic, of.partition())));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            long deadline = System.currentTimeMillis() + 60_000;
            while (received.size() < count && System.currentTimeMillis() < deadline) {
                for (ConsumerRecord<String, GenericRecord> record : consumer.poll(Duration.ofMillis(200))) {
                    received.add("[\"" + record.key() + "\"," + json(record.value()) + "]");
                }
            }
        }
        return received.toString();
    }

    static String json(GenericRecord value) throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        JsonEncoder encoder = EncoderFactory.get().jsonEncoder(value.getSchema(), out);
        new GenericDatumWriter<Object>(value.getSchema()).write(value, encoder);
        encoder.flush();
        return out.toString("UTF-8");
    }
}
