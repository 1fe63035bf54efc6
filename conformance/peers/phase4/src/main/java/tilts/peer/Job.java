// SPDX-License-Identifier: EUPL-1.2
package tilts.peer;

import com.helger.http.CHttp;
import com.helger.json.IJson;
import com.helger.json.IJsonObject;
import com.helger.json.JsonArray;
import com.helger.json.JsonObject;
import com.helger.mime.CMimeType;
import com.helger.mime.parse.MimeTypeParser;
import com.helger.phase4.CAS4;
import com.helger.phase4.attachment.AS4OutgoingAttachment;
import com.helger.phase4.attachment.EAS4CompressionMode;
import com.helger.phase4.ebms3header.Ebms3SignalMessage;
import com.helger.phase4.incoming.IAS4IncomingMessageState;
import com.helger.phase4.model.MessageProperty;
import com.helger.phase4.model.pmode.PMode;
import com.helger.phase4.sender.AS4Sender;
import com.helger.phase4.sender.AS4Sender.BuilderUserMessage;
import com.helger.phase4.sender.IAS4SignalMessageValidationResultHandler;
import com.helger.phase4.util.Phase4Exception;
import com.helger.phase4.messaging.http.HttpRetrySettings;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.time.Duration;

/** One message to send: what the JSON line asks for, and what became of it. */
final class Job {
    private final Profile profile;
    private final Material material;
    private final IJsonObject job;
    private final JsonObject result = new JsonObject();

    Job(Profile profile, Material material, IJsonObject job) {
        this.profile = profile;
        this.material = material;
        this.job = job;
    }

    /** Sends it and describes signal, signer and the verdict on the NonRepudiationInformation. */
    IJsonObject run() throws Exception {
        result.add("event", "sent").add("job", text("job", "")).add("message_id", text("message_id", ""))
                .add("signal", "none").add("codes", new JsonArray()).add("signed", false).add("nri", "none");
        long begun = System.nanoTime();
        try {
            String said = builder().sendMessageAndCheckForReceipt(this::failed).getID();
            result.add("result", said);
        } catch (Exception failure) {
            result.add("result", "exception").add("exception", Report.causes(failure));
        }
        return result.add("milliseconds", (System.nanoTime() - begun) / 1_000_000);
    }

    private void failed(Phase4Exception failure) {
        result.add("exception", Report.causes(failure));
    }

    private BuilderUserMessage builder() throws Exception {
        BuilderUserMessage builder = AS4Sender.builderUserMessage();
        String from = need("from");
        String to = need("to");
        builder.as4ProfileID(profile.id()).pmode(pmode(from, to)).cryptoFactorySign(material.sign())
                .cryptoFactoryCrypt(material.crypt()).endpointURL(need("url")).messageID(text("message_id", null))
                .conversationID(text("conversation", null)).fromPartyID(from).fromPartyIDType(text("party_type", null))
                .fromRole(CAS4.DEFAULT_INITIATOR_URL).toPartyID(to).toPartyIDType(text("party_type", null))
                .toRole(CAS4.DEFAULT_RESPONDER_URL).service(text("service_type", null), need("service")).action(need("action"))
                .agreementRef(text("agreement", null))
                .httpRetrySettings(new HttpRetrySettings().setMaxRetries(number("retries")).setDurationBeforeRetry(Duration.ofMillis(200)));
        profile.signing(builder.signingParams());
        Token.of(text("token", "bst")).applyTo(builder.signingParams());
        profile.encryption(builder.cryptParams());
        Token.of(text("recipient_token", "bst")).applyTo(builder.cryptParams());
        builder.receiverCertificate(material.receiver());
        content(builder);
        builder.httpClientFactory(material.http());
        builder.signalMsgConsumer((signal, metadata, state) -> heard(signal, state));
        builder.signalMsgValidationResultHdl(new Verdict());
        return builder;
    }

    /** Only what the agreement leaves out is left out: phase4 takes its algorithms before those of the builder. */
    private PMode pmode(String from, String to) {
        PMode pmode = profile.pmode(from, to, need("url"), job.getAsBoolean("sign", true));
        if (!job.getAsBoolean("encrypt", true)) {
            pmode.getLeg1().getSecurity().setX509EncryptionAlgorithm(null);
        }
        return pmode;
    }

    private void content(BuilderUserMessage builder) throws Exception {
        for (IJson each : job.getAsArray("properties")) {
            IJsonObject property = each.getAsObject();
            builder.addMessageProperty(MessageProperty.builder().name(property.getAsString("name"))
                    .type(property.getAsString("type")).value(property.getAsString("value")));
        }
        for (IJson each : job.getAsArray("parts")) {
            IJsonObject part = each.getAsObject();
            AS4OutgoingAttachment.Builder attachment = AS4OutgoingAttachment.builder().data(new File(part.getAsString("file")))
                    .mimeType(MimeTypeParser.parseMimeType(part.getAsString("media_type")))
                    .contentID(part.getAsString("id"))
                    .compression(part.getAsBoolean("compress", false) ? EAS4CompressionMode.GZIP : null);
            if (part.getAsBoolean("pretend_gzip", false)) {
                attachment.addCustomProperty("CompressionType", "application/gzip");
            }
            builder.addAttachment(attachment);
        }
        if (text("file", null) != null) {
            builder.addAttachment(AS4OutgoingAttachment.builder().data(document(new File(need("file"))))
                    .mimeType(CMimeType.APPLICATION_XML).compression(EAS4CompressionMode.GZIP));
        }
    }

    /** A document in its envelope, or as it is where the job says that the envelope says nothing. */
    private byte[] document(File file) throws IOException {
        IJson envelope = job.get("envelope");
        return envelope.isObject() ? Business.envelope(file, envelope.getAsObject()) : Files.readAllBytes(file.toPath());
    }

    private void heard(Ebms3SignalMessage signal, IAS4IncomingMessageState state) {
        JsonArray codes = new JsonArray();
        JsonArray details = new JsonArray();
        signal.getError().forEach(error -> {
            codes.add(error.getErrorCode());
            details.add(String.valueOf(error.getErrorDetail()));
        });
        result.add("signal", signal.getReceipt() != null ? "receipt" : "error").add("codes", codes).add("details", details)
                .add("signal_id", signal.getMessageInfo().getMessageId())
                .add("ref_to", signal.getMessageInfo().getRefToMessageId())
                .add("signed", state.hasSigningCertificate())
                .add("token", String.valueOf(state.getSigningCertificateReferenceType()));
        try {
            result.add("signer", Report.fingerprint(state.getSigningCertificate()));
        } catch (Exception failure) {
            throw new IllegalStateException(failure);
        }
    }

    /** phase4's judgement of the digests in the receipt; SUCCESS of the sender does not depend on it. */
    private final class Verdict implements IAS4SignalMessageValidationResultHandler {
        @Override
        public void onSuccess() {
            result.add("nri", "valid");
        }

        @Override
        public void onError(String reason) {
            result.add("nri", "invalid: " + reason);
        }

        @Override
        public void onNotApplicable() {
            result.add("nri", "not-applicable");
        }
    }

    private String text(String name, String otherwise) {
        String value = job.getAsString(name);
        return value == null ? otherwise : value;
    }

    private String need(String name) {
        String value = job.getAsString(name);
        if (value == null) {
            throw new IllegalArgumentException("the job has no " + name);
        }
        return value;
    }

    private int number(String name) {
        return job.getAsInt(name, 0);
    }
}
