// SPDX-License-Identifier: EUPL-1.2
package tilts.peer;

import com.helger.json.IJsonObject;
import com.helger.json.JsonObject;
import com.helger.json.serialize.JsonReader;
import com.helger.phase4.mgr.MetaAS4Manager;
import com.helger.scope.mgr.ScopeManager;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;

/**
 * Sends many messages like the one in a JSON line on standard input: {@code warm} of them before, then {@code count}, from
 * {@code threads} threads at once. Says when it is warm, and in the end how long the others took.
 */
final class Load {
    private final Profile profile;
    private final Material material;
    private final IJsonObject job;
    private final String signer;
    /** What became of the first message that was not receipted as it must be. */
    private final AtomicReference<IJsonObject> example = new AtomicReference<>();

    private Load(Options options, Profile profile, IJsonObject job) throws Exception {
        this.profile = profile;
        this.job = job;
        material = Material.kept(options, job);
        signer = Report.fingerprint(material.receiver());
    }

    /** Runs a load per line. It ends with standard input, so that whoever drives it can look at the idle process. */
    static void run(Options options) throws Exception {
        ScopeManager.onGlobalBegin("load");
        MetaAS4Manager.getInstance();
        Profile profile = Profile.of(options.need("profile"));
        profile.register();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JsonObject job = (JsonObject) JsonReader.readFromString(line).getAsObject();
            // phase4 gives each message an id where none is asked for.
            job.removeKey("message_id");
            new Load(options, profile, job).measure();
        }
    }

    private void measure() throws Exception {
        int threads = job.getAsInt("threads", 1);
        batch(job.getAsInt("warm", 0), threads);
        Report.line(new JsonObject().add("event", "warm").add("job", job.getAsString("job")));
        example.set(null);
        long begun = System.nanoTime();
        long[] times = batch(job.getAsInt("count", 1), threads);
        double seconds = (System.nanoTime() - begun) / 1e9;
        long failures = Arrays.stream(times).filter(time -> time < 0).count();
        long[] good = Arrays.stream(times).filter(time -> time >= 0).sorted().toArray();
        IJsonObject line = new JsonObject().add("event", "load").add("job", job.getAsString("job"))
                .add("messages", times.length).add("failures", failures).add("seconds", seconds)
                .add("p50_ms", at(good, 0.5)).add("p99_ms", at(good, 0.99));
        if (example.get() != null) {
            line.add("example", example.get());
        }
        Report.line(line);
    }

    /** Nanoseconds of each message, less than zero where it failed. */
    private long[] batch(int count, int threads) throws InterruptedException {
        long[] times = new long[count];
        AtomicInteger next = new AtomicInteger();
        Thread[] senders = new Thread[threads];
        for (int i = 0; i < threads; i++) {
            senders[i] = new Thread(() -> {
                for (int number = next.getAndIncrement(); number < count; number = next.getAndIncrement()) {
                    times[number] = one();
                }
            });
            senders[i].start();
        }
        for (Thread sender : senders) {
            sender.join();
        }
        return times;
    }

    private long one() {
        long begun = System.nanoTime();
        IJsonObject result;
        try {
            result = new Job(profile, material, job).run();
        } catch (Exception failure) {
            result = new JsonObject().add("exception", Report.causes(failure));
        }
        if (proven(result)) {
            return System.nanoTime() - begun;
        }
        example.compareAndSet(null, result);
        return -1;
    }

    /** Whether there is a receipt, signed by the recipient, over what was sent. */
    private boolean proven(IJsonObject result) {
        return "receipt".equals(result.getAsString("signal")) && "valid".equals(result.getAsString("nri"))
                && signer.equals(result.getAsString("signer"));
    }

    private static double at(long[] sorted, double share) {
        return sorted.length == 0 ? 0 : sorted[(int) ((sorted.length - 1) * share)] / 1e6;
    }
}
