int other_twice(int value);
