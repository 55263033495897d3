// What Apache's own Avro for Java makes of a value. A line for each question, its parts in base64:
//   write SCHEMA VALUE        the bytes of a value in Avro's JSON encoding
//   read SCHEMA SCHEMA BYTES  the value that was written with the first schema, read with the second, as JSON
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.util.Base64;

import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.io.JsonEncoder;

public class Peer {
    public static void main(String[] arguments) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] parts = line.split(" ");
            String answer;
            try {
                answer = parts[0].equals("write") ? write(parts) : read(parts);
            } catch (Exception error) {
                answer = "error: " + error;
            }
            System.out.println(answer.replace('\n', ' '));
            System.out.flush();
        }
    }

    static byte[] bytes(String part) {
        return Base64.getDecoder().decode(part);
    }

    static Schema schema(String part) throws Exception {
        return new Schema.Parser().parse(new String(bytes(part), "UTF-8"));
    }

    static String write(String[] parts) throws Exception {
        Schema schema = schema(parts[1]);
        String json = new String(bytes(parts[2]), "UTF-8");
        Object value = new GenericDatumReader<Object>(schema)
            .read(null, DecoderFactory.get().jsonDecoder(schema, json));
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(out, null);
        new GenericDatumWriter<Object>(schema).write(value, encoder);
        encoder.flush();
        return Base64.getEncoder().encodeToString(out.toByteArray());
    }

    static String read(String[] parts) throws Exception {
        Schema writer = schema(parts[1]), reader = schema(parts[2]);
        Object value = new GenericDatumReader<Object>(writer, reader)
            .read(null, DecoderFactory.get().binaryDecoder(bytes(parts[3]), null));
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        JsonEncoder encoder = EncoderFactory.get().jsonEncoder(reader, out);
        new GenericDatumWriter<Object>(reader).write(value, encoder);
        encoder.flush();
        return out.toString("UTF-8");
    }
}
