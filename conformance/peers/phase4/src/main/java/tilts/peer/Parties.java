// SPDX-License-Identifier: EUPL-1.2
package tilts.peer;

import com.helger.phase4.model.pmode.PMode;
import com.helger.phase4.model.pmode.resolve.IAS4PModeResolver;

import java.util.List;

/** Who may send, and to whom. phase4's own resolver makes an agreement with anybody, so EBMS:0010 would never be seen. */
final class Parties {
    private final Profile profile;
    private final List<String> expected;
    private final List<String> own;

    Parties(Profile profile, List<String> expected, List<String> own) {
        this.profile = profile;
        this.expected = expected;
        this.own = own;
    }

    /** The resolver of a receiver whose receipts are signed, or not. */
    IAS4PModeResolver resolver(boolean signed) {
        return (id, service, action, initiator, responder, agreement, address) -> {
            boolean known = expected.contains(initiator) && own.contains(responder);
            if (!known) {
                return null;
            }
            PMode pmode = profile.pmode(initiator, responder, null, signed);
            // phase4 knows the test service by the service and action of the agreement, not of the message.
            pmode.getLeg1().getBusinessInfo().setService(service);
            pmode.getLeg1().getBusinessInfo().setAction(action);
            return pmode;
        };
    }
}
