// SPDX-License-Identifier: EUPL-1.2
package tilts.peer;

import com.helger.collection.commons.CommonsArrayList;
import com.helger.phase4.crypto.AS4CryptParams;
import com.helger.phase4.crypto.AS4SigningParams;
import com.helger.phase4.crypto.IAS4CryptoFactory;
import com.helger.phase4.incoming.AS4IncomingProfileSelectorConstant;
import com.helger.phase4.incoming.AS4RequestHandler;
import com.helger.phase4.incoming.crypto.AS4IncomingSecurityConfiguration;
import com.helger.phase4.incoming.spi.IAS4IncomingMessageProcessorSPI;
import com.helger.phase4.servlet.AS4UnifiedResponse;
import com.helger.phase4.servlet.IAS4ServletRequestHandlerCustomizer;
import com.helger.web.scope.IRequestWebScopeWithoutResponse;

/** Sets up phase4's handler before each request, by the {@link Behaviour} that the path asks for. */
final class Endpoint implements IAS4ServletRequestHandlerCustomizer {
    private final Profile profile;
    private final Parties parties;
    private final IAS4CryptoFactory sign;
    private final IAS4CryptoFactory decrypt;
    private final IAS4CryptoFactory other;
    private final Business business;
    private final boolean quiet;

    Endpoint(Profile profile, Parties parties, IAS4CryptoFactory sign, IAS4CryptoFactory decrypt, IAS4CryptoFactory other,
            Business business, boolean quiet) {
        this.profile = profile;
        this.parties = parties;
        this.sign = sign;
        this.decrypt = decrypt;
        this.other = other;
        this.business = business;
        this.quiet = quiet;
    }

    @Override
    public void customizeBeforeHandling(IRequestWebScopeWithoutResponse scope, AS4UnifiedResponse response,
            AS4RequestHandler handler) {
        Behaviour behaviour = Behaviour.of(scope.getRequest().getPathInfo());
        handler.setCryptoFactorySign(behaviour.signsAsOther() ? other : sign);
        handler.setCryptoFactoryCrypt(behaviour.decryptsAsOther() ? other : decrypt);
        handler.setPModeResolver(parties.resolver(behaviour.signsReceipts()));
        handler.setIncomingProfileSelector(new AS4IncomingProfileSelectorConstant(profile.id(), true));
        handler.setIncomingSecurityConfiguration(new AS4IncomingSecurityConfiguration()
                .setSigningParams(behaviour.token().applyTo(profile.signing(new AS4SigningParams())))
                .setCryptParams(profile.encryption(new AS4CryptParams())));
        handler.setProcessorSupplier(
                () -> new CommonsArrayList<IAS4IncomingMessageProcessorSPI>(new Backend(behaviour.failure(), business, quiet)));
        handler.setErrorConsumer((metadata, state, errors, answer) -> Backend.refused(state, errors));
    }

    @Override
    public void customizeAfterHandling(IRequestWebScopeWithoutResponse scope, AS4UnifiedResponse response,
            AS4RequestHandler handler) {
        // The answer goes as phase4 made it.
    }
}
