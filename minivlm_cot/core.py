class InputError(ValueError): "Bad input that the user can mend."
