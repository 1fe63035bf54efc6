// SPDX-License-Identifier: EUPL-1.2
package tilts.peer;

import com.helger.collection.commons.ICommonsList;
import com.helger.http.header.HttpHeaderMap;
import com.helger.json.IJsonObject;
import com.helger.json.JsonArray;
import com.helger.json.JsonObject;
import com.helger.phase4.attachment.AS4DecompressException;
import com.helger.phase4.attachment.WSS4JAttachment;
import com.helger.phase4.ebms3header.Ebms3Property;
import com.helger.phase4.ebms3header.Ebms3SignalMessage;
import com.helger.phase4.ebms3header.Ebms3UserMessage;
import com.helger.phase4.error.AS4ErrorList;
import com.helger.phase4.incoming.IAS4IncomingMessageMetadata;
import com.helger.phase4.incoming.IAS4IncomingMessageState;
import com.helger.phase4.incoming.spi.AS4MessageProcessorResult;
import com.helger.phase4.incoming.spi.AS4SignalMessageProcessorResult;
import com.helger.phase4.incoming.spi.IAS4IncomingMessageProcessorSPI;
import com.helger.phase4.model.error.EEbmsError;
import com.helger.phase4.model.pmode.IPMode;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.security.MessageDigest;
import java.util.zip.ZipException;
import org.w3c.dom.Node;

/** What stands behind the access point: it reads every part to its end and says what it got. */
final class Backend implements IAS4IncomingMessageProcessorSPI {
    private final String failure;
    /** Takes business envelopes; {@code null} where there are none. */
    private final Business business;
    /** Reads and says nothing of it. */
    private final boolean quiet;

    Backend(String failure, Business business, boolean quiet) {
        this.failure = failure;
        this.business = business;
        this.quiet = quiet;
    }

    @Override
    public AS4MessageProcessorResult processAS4UserMessage(IAS4IncomingMessageMetadata metadata, HttpHeaderMap headers,
            Ebms3UserMessage message, IPMode pmode, Node body, ICommonsList<WSS4JAttachment> parts,
            IAS4IncomingMessageState state, AS4ErrorList errors) {
        if (failure != null) {
            EEbmsError error = EEbmsError.valueOf(failure.equals("EBMS:0202") ? "EBMS_DELIVERY_FAILURE" : "EBMS_OTHER");
            return refuse(error, "the backend fails because it was told to", state, errors);
        }
        try {
            if (quiet) {
                drain(parts);
                return AS4MessageProcessorResult.createSuccess();
            }
            IJsonObject line = described(message, parts, state);
            if (business != null) {
                business.take(content(parts), line);
            }
            Report.line(line);
        } catch (Business.Refusal refusal) {
            return refuse(EEbmsError.EBMS_OTHER, refusal.getMessage(), state, errors);
        } catch (RuntimeException failed) {
            throw failed;
        } catch (Exception failed) {
            throw new IllegalStateException(failed);
        }
        return AS4MessageProcessorResult.createSuccess();
    }

    private static AS4MessageProcessorResult refuse(EEbmsError error, String why, IAS4IncomingMessageState state,
            AS4ErrorList errors) {
        errors.add(error.errorBuilder(state.getLocale()).refToMessageInError(state.getMessageID()).errorDetail(why).build());
        return AS4MessageProcessorResult.createFailure();
    }

    private static byte[] content(ICommonsList<WSS4JAttachment> parts) throws IOException, Business.Refusal {
        if (parts == null || parts.size() != 1) {
            throw new Business.Refusal("there is not exactly one part");
        }
        try (InputStream in = parts.get(0).getSourceStream()) {
            return in.readAllBytes();
        }
    }

    private static void drain(ICommonsList<WSS4JAttachment> parts) throws IOException {
        if (parts != null) {
            for (WSS4JAttachment part : parts) {
                try (InputStream in = part.getSourceStream()) {
                    in.transferTo(OutputStream.nullOutputStream());
                }
            }
        }
    }

    private IJsonObject described(Ebms3UserMessage message, ICommonsList<WSS4JAttachment> parts,
            IAS4IncomingMessageState state) throws Exception {
        JsonArray described = new JsonArray();
        if (parts != null) {
            for (WSS4JAttachment part : parts) {
                described.add(read(part));
            }
        }
        JsonArray properties = new JsonArray();
        if (message.getMessageProperties() != null) {
            for (Ebms3Property property : message.getMessageProperties().getProperty()) {
                properties.add(new JsonObject().add("name", property.getName()).add("type", property.getType())
                        .add("value", property.getValue()));
            }
        }
        return new JsonObject().add("event", "received")
                .add("message_id", message.getMessageInfo().getMessageId())
                .add("from", message.getPartyInfo().getFrom().getPartyIdAtIndex(0).getValue())
                .add("to", message.getPartyInfo().getTo().getPartyIdAtIndex(0).getValue())
                .add("service", message.getCollaborationInfo().getServiceValue())
                .add("action", message.getCollaborationInfo().getAction())
                .add("conversation", message.getCollaborationInfo().getConversationId())
                .add("properties", properties).add("parts", described)
                .add("signed", state.isSoapSignatureChecked()).add("decrypted", state.isSoapDecrypted())
                .add("signer", Report.fingerprint(state.getSigningCertificate()))
                .add("token", String.valueOf(state.getSigningCertificateReferenceType()));
    }

    /** phase4 inflates lazily: only a backend that reads can find a broken gzip stream (EBMS:0303). */
    private static IJsonObject read(WSS4JAttachment part) throws Exception {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        long size = 0;
        try (InputStream in = part.getSourceStream()) {
            byte[] buffer = new byte[65536];
            for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
                digest.update(buffer, 0, count);
                size += count;
            }
        } catch (ZipException broken) {
            throw new AS4DecompressException(broken);
        } catch (IOException broken) {
            throw part.getCompressionMode() == null ? broken : new AS4DecompressException(broken);
        }
        return new JsonObject().add("id", part.getId()).add("media_type", part.getUncompressedMimeType())
                .add("compressed", part.getCompressionMode() != null).add("size", size)
                .add("sha256", Report.hex(digest.digest()));
    }

    /** Says what phase4 refused, and with which codes. */
    static void refused(IAS4IncomingMessageState state, AS4ErrorList errors) {
        JsonArray codes = new JsonArray();
        JsonArray details = new JsonArray();
        errors.forEach(error -> {
            codes.add(error.getEbmsError().getErrorCode());
            details.add(String.valueOf(error.getEbmsError().getErrorDetail()));
        });
        Report.line(new JsonObject().add("event", "refused").add("message_id", state.getMessageID())
                .add("codes", codes).add("details", details));
    }

    @Override
    public AS4SignalMessageProcessorResult processAS4SignalMessage(IAS4IncomingMessageMetadata metadata, HttpHeaderMap headers,
            Ebms3SignalMessage message, IPMode pmode, IAS4IncomingMessageState state, AS4ErrorList errors) {
        return AS4SignalMessageProcessorResult.createSuccess();
    }

    @Override
    public void processAS4ResponseMessage(IAS4IncomingMessageMetadata metadata, IAS4IncomingMessageState state, String id,
            byte[] octets, boolean available, AS4ErrorList errors) {
        // The sender says what it got.
    }
}
