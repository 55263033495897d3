import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Branched;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Produced;

/** The jobs of the bench, with Jackson's and Avro's generic values: JOB SERVERS FROM TO RECORDS GUARANTEE SCHEMA STATE. */
public class Streams {
    static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] args) throws Exception {
        String job = args[0], from = args[2], to = args[3];
        long records = Long.parseLong(args[4]);
        Schema schema = new Schema.Parser().parse(new File(args[6]));
        Properties properties = new Properties();
        properties.put("application.id", to);
        properties.put("bootstrap.servers", args[1]);
        properties.put("state.dir", args[7]);
        properties.put("num.stream.threads", "2");
        properties.put("auto.offset.reset", "earliest");
        properties.put("commit.interval.ms", "100");
        properties.put("processing.guarantee", args[5].equals("exactly-once") ? "exactly_once_v2" : "at_least_once");

        Progress progress = new Progress(records);
        StreamsBuilder builder = new StreamsBuilder();
        Serde<String> keys = Serdes.String();
        if (job.equals("avro-to-json")) {
            builder.stream(from, Consumed.with(keys, avro(schema))).peek((k, v) -> progress.one())
                .mapValues(Streams::toJson).to(to, Produced.with(keys, json()));
        } else {
            KStream<String, JsonNode> orders =
                builder.stream(from, Consumed.with(keys, json())).peek((k, v) -> progress.one());
            Produced<String, JsonNode> written = Produced.with(keys, json());
            switch (job) {
                case "filter" -> orders.filter((k, v) -> v.get("amount").doubleValue() > 100).to(to, written);
                case "map" -> orders.mapValues(v -> {
                    ObjectNode order = (ObjectNode) v;
                    order.put("total", order.get("amount").doubleValue() * order.get("count").doubleValue());
                    order.remove("card");
                    return (JsonNode) order;
                }).to(to, written);
                case "json-to-avro" ->
                    orders.mapValues(v -> toAvro(v, schema)).to(to, Produced.with(keys, avro(schema)));
                case "one-route" -> orders.split()
                    .branch((k, v) -> v.get("amount").doubleValue() >= 150, to(to + "-large", written))
                    .defaultBranch(to(to, written));
                case "three-routes" -> orders.split()
                    .branch((k, v) -> v.get("amount").doubleValue() >= 150, to(to + "-large", written))
                    .branch((k, v) -> v.get("to").get("city").textValue().equals("Ulm"), to(to + "-ulm", written))
                    .branch((k, v) -> v.get("to").get("city").textValue().equals("Rennes"), to(to + "-rennes", written))
                    .defaultBranch(to(to, written));
                default -> throw new IllegalArgumentException(job);
            }
        }
        KafkaStreams streams = new KafkaStreams(builder.build(), properties);
        streams.start();
        progress.done.await();
        // It commits what is left, and ends.
        streams.close(Duration.ofSeconds(60));
        System.out.println(progress.warm());
        System.exit(0);
    }

    static Branched<String, JsonNode> to(String topic, Produced<String, JsonNode> written) {
        return Branched.withConsumer(branch -> branch.to(topic, written));
    }

    static Serde<JsonNode> json() {
        return Serdes.serdeFrom(
            (topic, value) -> sneaky(() -> JSON.writeValueAsBytes(value)),
            (topic, bytes) -> sneaky(() -> JSON.readTree(bytes)));
    }

    static Serde<GenericRecord> avro(Schema schema) {
        // Each thread has its own.
        ThreadLocal<Codec> codecs = ThreadLocal.withInitial(() -> new Codec(schema));
        return Serdes.serdeFrom(
            (topic, value) -> sneaky(() -> codecs.get().write(value)),
            (topic, bytes) -> sneaky(() -> codecs.get().read(bytes)));
    }

    static class Codec {
        final GenericDatumReader<GenericRecord> reader;
        final GenericDatumWriter<GenericRecord> writer;
        final ByteArrayOutputStream out = new ByteArrayOutputStream();
        BinaryDecoder decoder;
        BinaryEncoder encoder;

        Codec(Schema schema) {
            reader = new GenericDatumReader<>(schema);
            writer = new GenericDatumWriter<>(schema);
        }

        GenericRecord read(byte[] bytes) throws IOException {
            decoder = DecoderFactory.get().binaryDecoder(bytes, decoder);
            return reader.read(null, decoder);
        }

        byte[] write(GenericRecord value) throws IOException {
            out.reset();
            encoder = EncoderFactory.get().binaryEncoder(out, encoder);
            writer.write(value, encoder);
            encoder.flush();
            return out.toByteArray();
        }
    }

    static GenericRecord toAvro(JsonNode value, Schema schema) {
        GenericRecord order = new GenericData.Record(schema);
        order.put("id", value.get("id").textValue());
        order.put("amount", value.get("amount").doubleValue());
        order.put("count", value.get("count").longValue());
        order.put("card", value.get("card").textValue());
        GenericRecord to = new GenericData.Record(schema.getField("to").schema());
        for (String name : new String[] {"name", "street", "city"}) {
            to.put(name, value.get("to").get(name).textValue());
        }
        order.put("to", to);
        GenericData.Array<Object> tags = new GenericData.Array<>(2, schema.getField("tags").schema());
        value.get("tags").forEach(tag -> tags.add(tag.textValue()));
        order.put("tags", tags);
        return order;
    }

    static JsonNode toJson(GenericRecord value) {
        ObjectNode order = JSON.createObjectNode();
        order.put("id", value.get("id").toString());
        order.put("amount", (double) value.get("amount"));
        order.put("count", (long) value.get("count"));
        order.put("card", value.get("card").toString());
        GenericRecord to = (GenericRecord) value.get("to");
        ObjectNode address = order.putObject("to");
        for (String name : new String[] {"name", "street", "city"}) {
            address.put(name, to.get(name).toString());
        }
        ArrayNode tags = order.putArray("tags");
        ((GenericData.Array<?>) value.get("tags")).forEach(tag -> tags.add(tag.toString()));
        return order;
    }

    /** Counts records; from a third of them on it is warm. */
    static class Progress {
        final CountDownLatch done = new CountDownLatch(1);
        final long records;
        final java.util.concurrent.atomic.AtomicLong seen = new java.util.concurrent.atomic.AtomicLong();
        volatile long[] warm, last;

        Progress(long records) {
            this.records = records;
        }

        static long[] now() {
            var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
            return new long[] {System.nanoTime(), system.getProcessCpuTime()};
        }

        void one() {
            long n = seen.incrementAndGet();
            if (n == records / 3) warm = now();
            if (n == records) {
                last = now();
                done.countDown();
            }
        }

        /** Records a second, and microseconds of CPU a record. */
        String warm() {
            double rest = records - records / 3;
            return rest * 1e9 / (last[0] - warm[0]) + " " + (last[1] - warm[1]) / 1e3 / rest;
        }
    }

    interface Attempt<T> {
        T get() throws IOException;
    }

    static <T> T sneaky(Attempt<T> attempt) {
        try {
            return attempt.get();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}
