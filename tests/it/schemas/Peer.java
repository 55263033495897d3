// What Apache's own Avro for Java, and Google's Protobuf for it, make of a value. A line for each question, its parts in base64:
//   write SCHEMA VALUE           the bytes of a value in Avro's JSON encoding
//   read SCHEMA SCHEMA BYTES     the value that was written with the first schema, read with the second, as JSON
//   message SCHEMA NAME VALUE    the bytes of that message in Protobuf's JSON encoding, behind its place in the schema, as Confluent's
//                                clients write it
//   message-of SCHEMA BYTES      what such bytes are: ["NAME", VALUE]
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

import com.google.protobuf.ByteString;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.DynamicMessage;
import com.google.protobuf.util.JsonFormat;
import io.apicurio.registry.utils.protobuf.schema.FileDescriptorUtils;
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
                switch (parts[0]) {
                    case "write": answer = write(parts); break;
                    case "read": answer = read(parts); break;
                    case "message": answer = message(parts); break;
                    default: answer = messageOf(parts);
                }
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

    static Map<String, FileDescriptor> files = new HashMap<>();

    // Each is parsed once: that takes its time.
    static FileDescriptor file(String part) throws Exception {
        if (!files.containsKey(part)) {
            String text = new String(bytes(part), "UTF-8");
            files.put(part, FileDescriptorUtils.protoFileToFileDescriptor(text, "schema.proto", Optional.of("shop")));
        }
        return files.get(part);
    }

    static void varint(ByteArrayOutputStream out, int n) {
        int zigzag = n << 1 ^ n >> 31;
        for (; (zigzag & ~0x7f) != 0; zigzag >>>= 7) {
            out.write(zigzag & 0x7f | 0x80);
        }
        out.write(zigzag);
    }

    static int varint(ByteBuffer in) {
        int n = 0;
        for (int shift = 0; ; shift += 7) {
            byte next = in.get();
            n |= (next & 0x7f) << shift;
            if (next >= 0) {
                return n >>> 1 ^ -(n & 1);
            }
        }
    }

    static String message(String[] parts) throws Exception {
        Descriptor of = file(parts[1]).findMessageTypeByName(name(parts[2]).split("\\.")[0]);
        for (String inner : name(parts[2]).split("\\.")) {
            of = of.getName().equals(inner) ? of : of.findNestedTypeByName(inner);
        }
        DynamicMessage.Builder builder = DynamicMessage.newBuilder(of);
        JsonFormat.parser().merge(new String(bytes(parts[3]), "UTF-8"), builder);
        List<Integer> places = new ArrayList<>();
        for (Descriptor outer = of; outer != null; outer = outer.getContainingType()) {
            places.add(0, outer.getIndex());
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        if (places.equals(List.of(0))) {
            out.write(0);
        } else {
            varint(out, places.size());
            places.forEach(place -> varint(out, place));
        }
        builder.build().writeTo(out);
        return Base64.getEncoder().encodeToString(out.toByteArray());
    }

    static String name(String part) throws Exception {
        return new String(bytes(part), "UTF-8");
    }

    static String messageOf(String[] parts) throws Exception {
        ByteBuffer in = ByteBuffer.wrap(bytes(parts[2]));
        int count = varint(in);
        Descriptor of = file(parts[1]).getMessageTypes().get(count == 0 ? 0 : varint(in));
        for (int place = 1; place < count; place++) {
            of = of.getNestedTypes().get(varint(in));
        }
        DynamicMessage message = DynamicMessage.parseFrom(of, ByteString.copyFrom(in));
        String json = JsonFormat.printer().preservingProtoFieldNames().omittingInsignificantWhitespace().print(message);
        return "[\"" + of.getFullName() + "\"," + json + "]";
    }
}
