import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Produced;

/** Counts the records of each key: SERVERS FROM TO RECORDS GUARANTEE STATE. Its store and its cache are as they come. */
public class Count {
    public static void main(String[] args) throws Exception {
        long records = Long.parseLong(args[3]);
        Properties properties = new Properties();
        properties.put("application.id", args[2]);
        properties.put("bootstrap.servers", args[0]);
        properties.put("state.dir", args[5]);
        properties.put("num.stream.threads", "2");
        properties.put("auto.offset.reset", "earliest");
        properties.put("commit.interval.ms", "100");
        properties.put("processing.guarantee", args[4].equals("exactly-once") ? "exactly_once_v2" : "at_least_once");
        AtomicLong seen = new AtomicLong();
        CountDownLatch done = new CountDownLatch(1);
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(args[1], Consumed.with(Serdes.String(), Serdes.Bytes()))
            .peek((key, value) -> {
                if (seen.incrementAndGet() == records) done.countDown();
            })
            .groupByKey(Grouped.with(Serdes.String(), Serdes.Bytes()))
            .count()
            .toStream()
            .mapValues(n -> "{\"n\":" + n + "}")
            .to(args[2], Produced.with(Serdes.String(), Serdes.String()));
        KafkaStreams streams = new KafkaStreams(builder.build(), properties);
        streams.start();
        done.await();
        // It commits what is left, and ends.
        streams.close(Duration.ofSeconds(60));
        System.exit(0);
    }
}
