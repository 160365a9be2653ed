throw new RangeError("no key");
