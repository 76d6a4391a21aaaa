package dev.graft.models.llama;

import java.util.Arrays;
import java.util.Map;

/// LLaMA once more, in double precision, one token after the other, with plain loops and no tensor: a second opinion on what no golden covers.
record LlamaByHand(LlamaConfig c, Map<String, float[]> weights) {

    /// Logits at each position.
    double[][] logits(int[] ids) {
        int heads = c.heads();
        int dim = c.headDim();
        double[][] x = new double[ids.length][];
        for (int t = 0; t < ids.length; t++) x[t] = row("model.embed_tokens.weight", ids[t]);
        for (int layer = 0; layer < c.layers(); layer++) {
            String block = "model.layers." + layer + ".";
            double[][] k = new double[ids.length][];
            double[][] v = new double[ids.length][];
            for (int t = 0; t < ids.length; t++) {
                double[] n = rms(x[t], block + "input_layernorm.weight");
                double[] q = rotate(linear(n, block + "self_attn.q_proj"), t);
                k[t] = rotate(linear(n, block + "self_attn.k_proj"), t);
                v[t] = linear(n, block + "self_attn.v_proj");
                double[] y = new double[heads * dim];
                for (int h = 0; h < heads; h++) {
                    int kv = h / (heads / c.keyValueHeads());
                    double[] p = new double[t + 1];
                    for (int s = 0; s <= t; s++) for (int i = 0; i < dim; i++) p[s] += q[h * dim + i] * k[s][kv * dim + i] / Math.sqrt(dim);
                    double sum = 0;
                    double max = Arrays.stream(p).max().orElseThrow();
                    for (int s = 0; s <= t; s++) sum += p[s] = Math.exp(p[s] - max);
                    for (int s = 0; s <= t; s++) for (int i = 0; i < dim; i++) y[h * dim + i] += p[s] / sum * v[s][kv * dim + i];
                }
                double[] a = add(x[t], linear(y, block + "self_attn.o_proj"));
                double[] m = rms(a, block + "post_attention_layernorm.weight");
                double[] gate = linear(m, block + "mlp.gate_proj");
                double[] up = linear(m, block + "mlp.up_proj");
                for (int i = 0; i < gate.length; i++) gate[i] = gate[i] / (1 + Math.exp(-gate[i])) * up[i];
                x[t] = add(a, linear(gate, block + "mlp.down_proj"));
            }
        }
        double[][] logits = new double[ids.length][];
        for (int t = 0; t < ids.length; t++)
            logits[t] = linear(rms(x[t], "model.norm.weight"), c.tied() ? "model.embed_tokens" : "lm_head");
        return logits;
    }

    /// Half-split, by the text of the formula: wavelengths compared, positions divided.
    private double[] rotate(double[] u, int position) {
        int half = c.headDim() / 2;
        double[] y = new double[u.length];
        for (int j = 0; j < u.length; j++) {
            int i = j % c.headDim() % half;
            double omega = Math.pow(c.ropeTheta(), -2.0 * i / c.headDim());
            double p = position;
            switch (c.ropeScaling()) {
                case RopeScaling.None() -> {
                }
                case RopeScaling.Linear(double factor) -> p /= factor;
                case RopeScaling.Llama3(double factor, double low, double high, int original) -> {
                    double wavelength = 2 * Math.PI / omega;
                    double s = (original / wavelength - low) / (high - low);
                    if (wavelength > original / low) omega /= factor;
                    else if (wavelength >= original / high) omega = (1 - s) * omega / factor + s * omega;
                }
            }
            boolean first = j % c.headDim() < half;
            y[j] = u[j] * Math.cos(p * omega) + (first ? -u[j + half] : u[j - half]) * Math.sin(p * omega);
        }
        return y;
    }

    private double[] rms(double[] x, String weight) {
        double mean = Arrays.stream(x).map(v -> v * v).average().orElseThrow();
        double[] y = new double[x.length];
        for (int i = 0; i < x.length; i++) y[i] = weights.get(weight)[i] * x[i] / Math.sqrt(mean + c.normEps());
        return y;
    }

    private double[] linear(double[] x, String layer) {
        float[] w = weights.get(layer + ".weight");
        float[] bias = weights.get(layer + ".bias");
        double[] y = new double[w.length / x.length];
        for (int o = 0; o < y.length; o++) {
            for (int i = 0; i < x.length; i++) y[o] += w[o * x.length + i] * x[i];
            if (bias != null) y[o] += bias[o];
        }
        return y;
    }

    private double[] row(String table, int id) {
        double[] y = new double[c.hidden()];
        for (int i = 0; i < y.length; i++) y[i] = weights.get(table)[id * y.length + i];
        return y;
    }

    private static double[] add(double[] a, double[] b) {
        double[] y = new double[a.length];
        for (int i = 0; i < y.length; i++) y[i] = a[i] + b[i];
        return y;
    }
}
