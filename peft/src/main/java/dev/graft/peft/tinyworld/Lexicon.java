package dev.graft.peft.tinyworld;

import java.util.List;

/// The people and things of the tiny world.
final class Lexicon {
    /// A person, and how they are referred to.
    record Person(String name, String subject, String object, String possessive) {}

    static final List<Person> PEOPLE = people();
    static final List<String> THINGS = List.of("apple", "shell", "coin", "book", "stone", "card", "marble", "button", "pear", "plum", "nut",
            "egg", "stamp",
            "sticker", "pencil", "balloon", "cookie", "ribbon", "feather", "carrot", "flower", "ticket", "candle", "lemon", "block");
    static final List<String> TOYS = List.of("ball", "kite", "doll", "hat", "key", "drum", "cup", "ring", "boat", "scarf", "lamp", "rope",
            "spoon", "bell", "mask");
    static final List<String> CONTAINERS = List.of("box", "bag", "basket", "drawer", "chest", "jar", "bucket", "cupboard");
    static final List<String> ANIMALS = List.of("cat", "dog", "bird", "frog", "duck", "horse", "rabbit", "mouse", "fox", "cow", "hen",
            "bear", "owl", "goat");
    static final List<String> PLACES = List.of("park", "garden", "beach", "school", "market", "forest", "farm", "kitchen", "river", "hill",
            "village", "library",
            "field", "lake");
    static final List<String> COLORS = List.of("red", "blue", "green", "yellow", "black", "white", "brown", "pink", "gray", "orange");
    static final List<String> MOODS = List.of("happy", "sad", "tired", "hungry", "brave", "shy", "proud", "angry", "calm", "curious");
    static final List<String> SIZES = List.of("big", "small", "tiny", "huge", "little");
    static final List<String> WEATHERS = List.of("sunny", "rainy", "windy", "cloudy", "snowy", "cold", "warm", "foggy");
    static final List<String> TIMES = List.of("morning", "afternoon", "evening", "day");
    static final List<String> KIN = List.of("friend", "cousin", "neighbor", "teacher");
    static final List<String> FOODS = List.of("soup", "bread", "rice", "cake", "cheese", "honey", "salad", "fish");
    private static final List<String> WORDS = List.of("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
            "eleven", "twelve",
            "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty");

    private Lexicon() {}

    private static List<Person> people() {
        List<String> girls = List.of("Mia", "Ann", "Zoe", "Lily", "Emma", "Sara", "Nina", "Ruby", "Ella", "Kate", "Lucy", "Rosa", "Ida",
                "Maya", "Tess", "Jane");
        List<String> boys = List.of("Tom", "Ben", "Leo", "Max", "Sam", "Tim", "Jack", "Noah", "Finn", "Hugo", "Paul", "Adam", "Luke",
                "Omar", "Carl", "Ned");
        return java.util.stream.Stream.concat(girls.stream().map(name -> new Person(name, "she", "her", "her")),
                boys.stream().map(name -> new Person(name, "he", "him", "his"))).toList();
    }

    /// `seven` for 7; digits above twenty.
    static String word(int number) {
        return number < WORDS.size() ? WORDS.get(number) : Integer.toString(number);
    }

    /// `1 shell`, `7 shells`.
    static String count(int number, String thing) {
        return number + " " + many(number, thing);
    }

    /// `shell` for one, `shells` otherwise.
    static String many(int number, String thing) {
        return number == 1 ? thing : thing + "s";
    }

    /// `a ball`, `an apple`.
    static String a(String noun) {
        return ("aeiou".indexOf(noun.charAt(0)) >= 0 ? "an " : "a ") + noun;
    }

    static String capital(String text) {
        return Character.toUpperCase(text.charAt(0)) + text.substring(1);
    }
}
