// SPDX-License-Identifier: EUPL-1.2
package tilts.peer;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The command line: {@code --name value}, repeatable. */
final class Options {
    private final Map<String, List<String>> values = new HashMap<>();

    private Options() {}

    /** Reads everything behind the mode. */
    static Options parse(String[] arguments) {
        Options options = new Options();
        for (int i = 1; i < arguments.length; i += 2) {
            if (!arguments[i].startsWith("--") || i + 1 == arguments.length) {
                throw new IllegalArgumentException("expected --name value, found " + arguments[i]);
            }
            options.values.computeIfAbsent(arguments[i].substring(2), name -> new ArrayList<>()).add(arguments[i + 1]);
        }
        return options;
    }

    /** All values of an option, none when it is absent. */
    List<String> all(String name) {
        return values.getOrDefault(name, List.of());
    }

    /** The last value, {@code null} when it is absent. */
    String get(String name) {
        List<String> all = all(name);
        return all.isEmpty() ? null : all.get(all.size() - 1);
    }

    /** The last value of an option that must be there. */
    String need(String name) {
        String value = get(name);
        if (value == null) {
            throw new IllegalArgumentException("--" + name + " is missing");
        }
        return value;
    }
}
