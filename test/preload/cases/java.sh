# shellcheck shell=bash
# Protects: the JVM: arenas of the compiler threads (malloced here, freed there), thread churn, direct buffers,
# JNI's checks, and two collectors.
# needs: java:default-jre-headless javac:default-jdk-headless
# timeout: 120

cat >Main.java <<'END'
import java.io.*;
import java.nio.*;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.zip.*;

public class Main {
    static long churn(int seed) {
        HashMap<String, List<Integer>> map = new HashMap<>();
        for (int i = 0; i < 100000; i++) {
            map.computeIfAbsent("k" + (long) i * seed % 5003, k -> new ArrayList<>()).add(i);
            if (i % 7 == 0) map.remove("k" + i % 5003);
        }
        long sum = 0;
        for (var e : new TreeMap<>(map).entrySet()) sum = sum * 31 + e.getKey().hashCode() + e.getValue().size();
        return sum;
    }

    static long squeeze(int seed) throws Exception {
        byte[] text = "the quick brown fox ".repeat(2000 + seed).getBytes();
        var packed = new ByteArrayOutputStream();
        try (var out = new DeflaterOutputStream(packed, new Deflater(seed % 9 + 1))) { out.write(text); }
        var back = new InflaterInputStream(new ByteArrayInputStream(packed.toByteArray())).readAllBytes();
        var crc = new CRC32();
        crc.update(back);
        ByteBuffer direct = ByteBuffer.allocateDirect(100000 + seed * 1000);
        while (direct.hasRemaining()) direct.put((byte) seed);
        return crc.getValue() + direct.capacity();
    }

    public static void main(String[] args) throws Exception {
        if (args.length > 0) { System.in.read(); return; }
        var pool = Executors.newFixedThreadPool(8);
        var jobs = new ArrayList<Future<Long>>();
        for (int i = 1; i <= 40; i++) {
            int seed = i;
            jobs.add(pool.submit(() -> churn(seed) + squeeze(seed)));
        }
        for (var job : jobs) System.out.println(job.get());
        pool.shutdown();
        long total = 0;
        for (int i = 0; i < 400; i++) { // short threads
            long[] box = new long[1];
            int seed = i;
            Thread t = new Thread(() -> { box[0] = new byte[seed * 10].length; });
            t.start();
            t.join();
            total += box[0];
        }
        System.out.println("threads " + total);
        System.gc();
        Process p = new ProcessBuilder("echo", "child").start();
        System.out.println(new String(p.getInputStream().readAllBytes()).trim() + " " + p.waitFor());
        Files.write(Path.of("maps.java"), Files.readAllLines(Path.of("/proc/self/maps")));
    }
}
END

preload
java -version 2>out/version
proof javac @/dev/stdin
javac -d out Main.java
proof java -cp out Main wait
java -Xmx96m -XX:+UseG1GC -cp out Main >out/g1
proof_maps 'java, G1' maps.java
java -Xmx96m -XX:+UseParallelGC -XX:ParallelGCThreads=2 -cp out Main >out/parallel
java -Xmx96m -XX:+UseSerialGC -Xcheck:jni -cp out Main >out/serial
