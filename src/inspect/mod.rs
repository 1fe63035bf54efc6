//! Takes captured messages apart, by the functions that receive.
