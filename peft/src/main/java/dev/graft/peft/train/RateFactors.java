package dev.graft.peft.train;

import dev.graft.nn.Parameter;
import dev.graft.optim.Groups;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/// Learning rates that are a multiple of the run's for parameters of some names: `pedro\.up\.bias=100,lora_A=0.5`. A parameter whose name several expressions find somewhere in it has the product.
record RateFactors(Map<Pattern, Double> factors) implements Groups {
    static final String NONE = "none";

    /// @param text as above, or `none`
    /// @throws IllegalArgumentException naming what is wrong with the text
    static Groups of(String text) {
        if (text.equals(NONE)) return Groups.ONE;
        Map<Pattern, Double> factors = new LinkedHashMap<>();
        for (String one : text.split(",")) {
            int at = one.lastIndexOf('=');
            try {
                double factor = at < 1 ? -1 : Double.parseDouble(one.substring(at + 1));
                if (!(factor >= 0 && factor < Double.POSITIVE_INFINITY)) throw new NumberFormatException();
                factors.put(Pattern.compile(one.substring(0, at)), factor);
            } catch (PatternSyntaxException e) {
                throw new IllegalArgumentException(
                        "rate_factors must be EXPRESSION=FACTOR,…; in '%s' the expression is none: %s".formatted(one, e.getDescription()));
            } catch (NumberFormatException e) {
                throw new IllegalArgumentException(
                        "rate_factors must be EXPRESSION=FACTOR,… with factors of at least 0, got '%s'".formatted(one));
            }
        }
        return new RateFactors(factors);
    }

    @Override
    public Group of(Parameter p) {
        return new Group(factor(p.name()), 1);
    }

    double factor(String name) {
        double product = 1;
        for (Map.Entry<Pattern, Double> f : factors.entrySet()) if (f.getKey().matcher(name).find()) product *= f.getValue();
        return product;
    }
}
