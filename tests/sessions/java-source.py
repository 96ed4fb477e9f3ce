"""Writes a Java program of many classes."""
count = 500
for at in range(count):
    methods = "".join(f"  int m{n}(int a) {{ return a * {n} - {n} * a + {at}; }}\n" for n in range(20))
    with open(f"Part{at}.java", "w") as out:
        out.write(f"class Part{at} {{\n{methods}}}\n")
calls = "".join(f"    sum += new Part{at}().m7(3);\n" for at in range(count))
with open("Main.java", "w") as out:
    out.write(f'class Main {{\n  public static void main(String[] a) {{\n    int sum = 0;\n{calls}    System.out.println("sum " + sum);\n  }}\n}}\n')
