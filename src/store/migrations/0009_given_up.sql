-- What was given up is rare among all else, and is looked for. The index holds nothing of any other message, which costs it nothing.
CREATE INDEX message_given_up ON message (state, id) WHERE state IN ('failed', 'uncertain', 'superseded');
