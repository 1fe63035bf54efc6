// SPDX-License-Identifier: EUPL-1.2
package tilts.peer;

import com.helger.json.IJsonObject;
import com.helger.json.serialize.JsonReader;
import com.helger.phase4.mgr.MetaAS4Manager;
import com.helger.scope.mgr.ScopeManager;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;

/** Sends one message per JSON line on standard input, in order; ends with it. */
final class Send {
    private Send() {}

    static void run(Options options) throws Exception {
        ScopeManager.onGlobalBegin("send");
        MetaAS4Manager.getInstance();
        Profile profile = Profile.of(options.need("profile"));
        profile.register();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            IJsonObject job = JsonReader.readFromString(line).getAsObject();
            Report.line(new Job(profile, Material.once(options, job), job).run());
        }
    }
}
