//! Assembly: the only room that knows everybody.
