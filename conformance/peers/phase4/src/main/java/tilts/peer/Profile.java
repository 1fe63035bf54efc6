// SPDX-License-Identifier: EUPL-1.2
package tilts.peer;

import com.helger.base.state.ETriState;
import com.helger.diagnostics.error.SingleError;
import com.helger.diagnostics.error.list.ErrorList;
import com.helger.phase4.CAS4;
import com.helger.phase4.attachment.EAS4CompressionMode;
import com.helger.phase4.crypto.AS4CryptParams;
import com.helger.phase4.crypto.AS4SigningParams;
import com.helger.phase4.crypto.ECryptoAlgorithmCrypt;
import com.helger.phase4.crypto.ECryptoAlgorithmSign;
import com.helger.phase4.crypto.ECryptoAlgorithmSignDigest;
import com.helger.phase4.ebms3header.Ebms3UserMessage;
import com.helger.phase4.mgr.MetaAS4Manager;
import com.helger.phase4.model.EMEP;
import com.helger.phase4.model.EMEPBinding;
import com.helger.phase4.model.pmode.IPModeIDProvider;
import com.helger.phase4.model.pmode.PMode;
import com.helger.phase4.model.pmode.PModeParty;
import com.helger.phase4.model.pmode.PModePayloadService;
import com.helger.phase4.model.pmode.PModeReceptionAwareness;
import com.helger.phase4.model.pmode.leg.EPModeSendReceiptReplyPattern;
import com.helger.phase4.model.pmode.leg.PModeLeg;
import com.helger.phase4.model.pmode.leg.PModeLegBusinessInformation;
import com.helger.phase4.model.pmode.leg.PModeLegErrorHandling;
import com.helger.phase4.model.pmode.leg.PModeLegProtocol;
import com.helger.phase4.model.pmode.leg.PModeLegSecurity;
import com.helger.phase4.profile.AS4Profile;
import com.helger.phase4.profile.IAS4ProfileValidator;
import com.helger.phase4.profile.peppol.AS4PeppolProfileRegistarSPI;
import com.helger.phase4.profile.peppol.PeppolPMode;
import com.helger.phase4.wss.EWSSVersion;

import java.util.Set;
import java.util.stream.Collectors;

/** A network's algorithms. phase4's own profile modules for eDelivery are not in the registries, so the P-Mode is made here. */
enum Profile {
    EDELIVERY_1("edelivery-1.15", ECryptoAlgorithmSign.RSA_SHA_256),
    EDELIVERY_2_EDDSA("edelivery-2.0-eddsa", ECryptoAlgorithmSign.EDDSA_ED25519),
    EDELIVERY_2_EC("edelivery-2.0-ec", ECryptoAlgorithmSign.ECDSA_SHA_256),
    PEPPOL("peppol", ECryptoAlgorithmSign.RSA_SHA_256);

    private final String word;
    private final ECryptoAlgorithmSign signature;

    Profile(String word, ECryptoAlgorithmSign signature) {
        this.word = word;
        this.signature = signature;
    }

    static Profile of(String word) {
        for (Profile profile : values()) {
            if (profile.word.equals(word)) {
                return profile;
            }
        }
        throw new IllegalArgumentException("unknown profile " + word);
    }

    /** The id under which phase4 knows it. */
    String id() {
        return this == PEPPOL ? AS4PeppolProfileRegistarSPI.AS4_PROFILE_ID : word;
    }

    /** Makes phase4 know it; the Peppol profile is known by its own module. */
    void register() {
        if (this != PEPPOL) {
            MetaAS4Manager.getProfileMgr().registerProfile(new AS4Profile(word, word, FourCorners::new,
                    (from, to, address) -> pmode(from, to, address, true), IPModeIDProvider.DEFAULT_DYNAMIC, false, false));
        }
    }

    /** The agreement of two parties; {@code signed} is false for one who does not sign what is sent, or the receipts. */
    PMode pmode(String from, String to, String address, boolean signed) {
        if (this == PEPPOL) {
            PMode pmode = PeppolPMode.createPeppolPMode(from, to, address, IPModeIDProvider.DEFAULT_DYNAMIC, false);
            if (!signed) {
                pmode.getLeg1().getSecurity().setX509SignatureAlgorithm(null);
            }
            return pmode;
        }
        PModeParty initiator = new PModeParty(null, from, CAS4.DEFAULT_INITIATOR_URL, null, null);
        PModeParty responder = new PModeParty(null, to, CAS4.DEFAULT_RESPONDER_URL, null, null);
        PModeLegErrorHandling errors = PModeLegErrorHandling.createUndefined();
        errors.setReportAsResponse(true);
        PModeLeg leg = new PModeLeg(PModeLegProtocol.createForDefaultSoapVersion(address),
                PModeLegBusinessInformation.create(null, null, null, CAS4.DEFAULT_MPC_ID), errors, null, security(signed));
        return new PMode(IPModeIDProvider.DEFAULT_DYNAMIC.getPModeID(initiator, responder), initiator, responder, null,
                EMEP.ONE_WAY, EMEPBinding.PUSH, leg, null, new PModePayloadService(EAS4CompressionMode.GZIP),
                new PModeReceptionAwareness(ETriState.TRUE, ETriState.TRUE, 1, 10_000, ETriState.TRUE));
    }

    private PModeLegSecurity security(boolean signed) {
        PModeLegSecurity security = new PModeLegSecurity();
        security.setWSSVersion(EWSSVersion.WSS_111);
        if (signed) {
            security.setX509SignatureAlgorithm(signature);
            security.setX509SignatureHashFunction(ECryptoAlgorithmSignDigest.DIGEST_SHA_256);
        }
        security.setX509EncryptionAlgorithm(ECryptoAlgorithmCrypt.AES_128_GCM);
        security.setX509EncryptionMinimumStrength(128);
        security.setSendReceipt(true);
        security.setSendReceiptReplyPattern(EPModeSendReceiptReplyPattern.RESPONSE);
        security.setSendReceiptNonRepudiation(true);
        return security;
    }

    AS4SigningParams signing(AS4SigningParams parameters) {
        return parameters.setAlgorithmSign(signature).setAlgorithmSignDigest(ECryptoAlgorithmSignDigest.DIGEST_SHA_256);
    }

    AS4CryptParams encryption(AS4CryptParams parameters) {
        parameters.setAlgorithmCrypt(ECryptoAlgorithmCrypt.AES_128_GCM);
        return switch (this) {
            case EDELIVERY_2_EDDSA -> parameters.setEDelivery2KeyAgreementX25519();
            case EDELIVERY_2_EC -> parameters.setEDelivery2KeyAgreementECDHES();
            default -> parameters;
        };
    }

    /** eDelivery demands originalSender and finalRecipient; phase4's engine does not ask by itself. */
    private static final class FourCorners implements IAS4ProfileValidator {
        @Override
        public void validateUserMessage(Ebms3UserMessage message, ErrorList errors) {
            Set<String> names = message.getMessageProperties() == null ? Set.of()
                    : message.getMessageProperties().getProperty().stream().map(p -> p.getName()).collect(Collectors.toSet());
            for (String corner : new String[] {CAS4.ORIGINAL_SENDER, CAS4.FINAL_RECIPIENT}) {
                if (!names.contains(corner)) {
                    errors.add(SingleError.builderError().errorText(corner + " is missing").build());
                }
            }
        }
    }
}
