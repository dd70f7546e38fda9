"""A script with an extension: `python3 use_text.py title|words|palindrome|remember`."""
import ctypes
import sys

text = ctypes.CDLL("./text_tools.so")
text.text_title.restype = ctypes.c_void_p
libc = ctypes.CDLL(None)


def title():
    made = text.text_title(b"the lord of the rings and")
    print(ctypes.string_at(made).decode())
    libc.free(ctypes.c_void_p(made))


def words():
    print(text.text_words(b"to be or not to be"))


def palindrome():
    print(text.text_is_palindrome(b"otto"), text.text_is_palindrome(b"slab"))


def remember():
    for word in b"one", b"two", b"three":
        print(text.text_remember(word))


globals()[sys.argv[1]]()
