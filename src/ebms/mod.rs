//! UserMessage, Receipt, Error, PullRequest and the EBMS code table.
