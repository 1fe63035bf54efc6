//! XML-DSig and XML-Enc on elements and streams.
