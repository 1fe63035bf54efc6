//! Signed delivery evidence (ETSI TS 102 640 REM).
