// SPDX-License-Identifier: EUPL-1.2
package tilts.peer;

import com.helger.datetime.helper.PDTFactory;
import com.helger.json.IJsonObject;
import com.helger.peppol.sbdh.PeppolSBDHData;
import com.helger.peppol.sbdh.PeppolSBDHDataReadException;
import com.helger.peppol.sbdh.PeppolSBDHDataReader;
import com.helger.peppol.sbdh.PeppolSBDHDataWriter;
import com.helger.peppolid.factory.PeppolIdentifierFactory;
import com.helger.sbdh.SBDMarshaller;
import com.helger.xml.serialize.read.DOMReader;

import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
import org.unece.cefact.namespaces.sbdh.StandardBusinessDocument;
import org.w3c.dom.Element;

/** Business envelopes (SBDH) of Peppol: made, judged and kept. phase4's engine leaves them to whoever uses it. */
final class Business {
    /** Why a message is not taken; the text goes into the error signal. */
    static final class Refusal extends Exception {
        private static final long serialVersionUID = 1;

        Refusal(String why) {
            super(why);
        }
    }

    private final List<String> serves;
    private final Path inbox;

    Business(List<String> serves, Path inbox) {
        this.serves = serves;
        this.inbox = inbox;
    }

    /** The document in an envelope that says what {@code says} does. */
    static byte[] envelope(File document, IJsonObject says) {
        Element root = DOMReader.readXMLDOM(document).getDocumentElement();
        String[] type = split(says.getAsString("document_type"));
        String[] process = split(says.getAsString("process"));
        PeppolSBDHData data = new PeppolSBDHData(PeppolIdentifierFactory.INSTANCE)
                .setSenderWithDefaultScheme(says.getAsString("sender"))
                .setReceiverWithDefaultScheme(says.getAsString("receiver")).setDocumentType(type[0], type[1])
                .setProcess(process[0], process[1]).setCountryC1("LV")
                .setDocumentIdentification(root.getNamespaceURI(), "2.1", root.getLocalName(), UUID.randomUUID().toString(),
                        PDTFactory.getCurrentXMLOffsetDateTimeUTC())
                .setBusinessMessage(root);
        StandardBusinessDocument envelope = new PeppolSBDHDataWriter().createStandardBusinessDocument(data);
        if (says.getAsString("country") == null) {
            envelope.getStandardBusinessDocumentHeader().getBusinessScope().getScope()
                    .removeIf(scope -> "COUNTRY_C1".equals(scope.getType()));
        }
        return new SBDMarshaller().getAsBytes(envelope);
    }

    private static String[] split(String identifier) {
        return identifier.split("::", 2);
    }

    /** Judges an envelope; what it says, and the file in which it is kept, go into the line. */
    void take(byte[] content, IJsonObject line) throws Refusal, IOException {
        PeppolSBDHData data;
        try {
            data = new PeppolSBDHDataReader(PeppolIdentifierFactory.INSTANCE).extractData(new ByteArrayInputStream(content));
        } catch (PeppolSBDHDataReadException wrong) {
            throw new Refusal("SBDH: " + wrong.getErrorCode());
        }
        if (!serves.contains(data.getReceiverValue())) {
            throw new Refusal("PEPPOL:NOT_SERVICED");
        }
        Path file = inbox.resolve(UUID.randomUUID().toString());
        Files.write(file, content);
        line.add("sender", data.getSenderValue()).add("recipient", data.getReceiverValue())
                .add("document_type", data.getDocumentTypeValue()).add("process", data.getProcessValue())
                .add("file", file.toString());
    }
}
