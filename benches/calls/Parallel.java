import io.confluent.parallelconsumer.ParallelConsumerOptions;
import io.confluent.parallelconsumer.ParallelConsumerOptions.ProcessingOrder;
import io.confluent.parallelconsumer.ParallelStreamProcessor;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Asks a service about each record, in the order of keys: SERVERS FROM TO URL CONCURRENCY RECORDS. */
public class Parallel {
    public static void main(String[] args) throws Exception {
        String from = args[1], to = args[2];
        URI url = URI.create(args[3]);
        CountDownLatch open = new CountDownLatch(Integer.parseInt(args[5]));
        Properties properties = new Properties();
        properties.put("bootstrap.servers", args[0]);
        properties.put("group.id", to);
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        properties.put("linger.ms", "5");
        var options = ParallelConsumerOptions.<String, String>builder()
            .ordering(ProcessingOrder.KEY)
            .maxConcurrency(Integer.parseInt(args[4]))
            .consumer(new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer()))
            .producer(new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer()))
            .build();
        HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        var processor = ParallelStreamProcessor.createEosStreamProcessor(options);
        processor.subscribe(List.of(from));
        processor.pollAndProduce(
            context -> {
                var record = context.getSingleConsumerRecord();
                var request = HttpRequest.newBuilder(url)
                    .POST(HttpRequest.BodyPublishers.ofString(record.value()))
                    .build();
                try {
                    var answer = client.send(request, BodyHandlers.ofString());
                    if (answer.statusCode() != 200) throw new IllegalStateException("status " + answer.statusCode());
                    return new ProducerRecord<>(to, record.key(), answer.body());
                } catch (java.io.IOException | InterruptedException failure) {
                    throw new IllegalStateException(failure);
                }
            },
            result -> open.countDown());
        open.await();
        processor.closeDrainFirst();
    }
}
