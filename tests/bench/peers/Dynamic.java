// Scala's DynamicVariable (the real class, from Debian's scala-library) in the model of peer.h:
// value() of each at submit, withValue() of each around the task.
import scala.runtime.AbstractFunction0;
import scala.util.DynamicVariable;

class Dynamic {
    static final int TASKS = 256, REPEATS = 300;
    static volatile long ran;

    static final class Nested extends AbstractFunction0<Object> {
        final DynamicVariable<Object>[] variables;
        final Object[] values;
        final int index;

        Nested(DynamicVariable<Object>[] variables, Object[] values, int index) {
            this.variables = variables;
            this.values = values;
            this.index = index;
        }

        public Object apply() {
            if (index == variables.length) {
                ran++;
                return null;
            }
            return variables[index].withValue(values[index], new Nested(variables, values, index + 1));
        }
    }

    static void carried(DynamicVariable<Object>[] variables, Object[][] kept) {
        for (int i = 0; i < TASKS; i++) {
            Object[] values = new Object[variables.length];
            for (int j = 0; j < variables.length; j++) values[j] = variables[j].value();
            kept[i] = values;
        }
        for (int i = 0; i < TASKS; i++) new Nested(variables, kept[i], 0).apply();
    }

    static void bare() {
        for (int i = 0; i < TASKS; i++) ran++;
    }

    static double median(double[] ns) {
        java.util.Arrays.sort(ns);
        return ns[ns.length / 2];
    }

    @SuppressWarnings("unchecked")
    public static void main(String[] words) {
        for (String word : words) {
            int k = Integer.parseInt(word);
            DynamicVariable<Object>[] variables = new DynamicVariable[k];
            for (int i = 0; i < k; i++) {
                variables[i] = new DynamicVariable<>("default");
                variables[i].value_$eq("submitter");
            }
            Object[][] kept = new Object[TASKS][];
            for (int i = 0; i < 6000 / (k + 1); i++) carried(variables, kept);
            double[] with = new double[REPEATS], without = new double[REPEATS];
            for (int i = 0; i < REPEATS; i++) {
                long begin = System.nanoTime();
                carried(variables, kept);
                with[i] = (System.nanoTime() - begin) / (double) TASKS;
                begin = System.nanoTime();
                bare();
                without[i] = (System.nanoTime() - begin) / (double) TASKS;
            }
            System.out.printf("peer=scala-dynamic k=%d ns=%.2f%n", k, median(with) - median(without));
        }
    }
}
